"""Bad input and secrets: what attackers send, and what nobody may ever see."""
