"""Servo arms: buses, calibration, the driver, and a bus that is emulated.

The vendors' own SDKs make and read the packets: ``dynamixel-sdk`` of ROBOTIS for Protocol 2.0,
and for Feetech's protocol ``feetech-servo-sdk``, whose module is ``scservo_sdk``. Feetech
publishes no package itself; that distribution is a copy of its official Python library, and
the one that LeRobot uses.
"""
