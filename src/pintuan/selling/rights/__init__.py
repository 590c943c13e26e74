"""What somebody was given to sell with, and how it ends with the right to."""
