"""What is promised through every fault, and the programs that show it: see README.md here."""
