"""What the server and the driver are like: errors, collections, transactions."""
