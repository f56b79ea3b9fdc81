"""What runs in worker processes: the loop, the engine and the model. Nothing here is imported by the driver."""
