"""Objects as earlier versions wrote them, and that this version continues each of them and launches nothing again."""
