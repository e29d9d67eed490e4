"""What an account will refuse, said before `pulumi up`; see command.py."""
