"""6.1, ceremonies: the root is opened for one act at a time, and each leaves a record that names the last."""
