"""Google Code Assist, as the Antigravity programs call it."""
