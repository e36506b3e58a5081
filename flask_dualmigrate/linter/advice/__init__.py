"""What the rules say: findings, and code to paste."""
