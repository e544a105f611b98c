"""Audits: logs read by several processes, judged by one, and put on paper."""
