"""What BasicSR's models lack: subclasses, and mixins that every registered model is built with."""
