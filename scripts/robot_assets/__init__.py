"""What ``scripts/build_robot_assets.py`` is made of; needs the extra ``assets``, and the simulator."""
