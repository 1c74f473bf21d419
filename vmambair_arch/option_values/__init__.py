"""Options by themselves: kinds of values, and the sentences for those that are wrong."""
