"""`python -m minigrad.watch runs/`: a page on this machine that shows running and past runs, and compares them."""
