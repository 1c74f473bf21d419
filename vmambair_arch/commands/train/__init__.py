"""The commands train and test, which run an option file in one process or many."""
