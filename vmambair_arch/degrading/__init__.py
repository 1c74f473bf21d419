"""Real-ESRGAN's degradations of images, for the models and data sets that train with them."""
