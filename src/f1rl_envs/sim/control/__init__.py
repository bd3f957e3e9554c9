"""What an action means to a robot: control modes, kinematics, targets and planners."""
