"""What BasicSR's models lack: subclasses, and what every registered model is built with."""
