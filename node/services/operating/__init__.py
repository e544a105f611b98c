"""What operators and their monitors look at."""
