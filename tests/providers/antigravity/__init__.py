"""Code Assist: its envelope, its rules, its discovery."""
