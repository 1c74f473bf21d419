"""Synthetic degradations, Real-ESRGAN's and rain, with the models and data sets that use them."""
