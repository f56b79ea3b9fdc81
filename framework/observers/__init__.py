"""What reacts to a training without taking part in it: metrics, heartbeat, checkpoints, tracker."""
