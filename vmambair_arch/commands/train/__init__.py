"""The commands train and test: an option file run by one process or by many."""
