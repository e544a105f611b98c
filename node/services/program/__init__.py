"""The points program: its terms, earning and redeeming, screens and reviews, expiry, the journal."""
