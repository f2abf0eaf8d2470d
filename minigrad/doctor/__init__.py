"""What this machine has, whether minigrad works on it, and what to do about what is missing.

python -m minigrad.doctor
"""
