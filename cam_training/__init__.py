"""What `train_loop.py` is made of."""
