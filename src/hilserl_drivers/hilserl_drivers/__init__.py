"""Servo arms: buses, calibration, the driver, and a bus that is emulated.

The vendors' own SDKs make and read the packets: ``dynamixel-sdk`` of ROBOTIS for Protocol 2.0,
and for Feetech's protocol ``feetech-servo-sdk``, whose module is ``scservo_sdk``. Feetech
itself publishes no package; that distribution is the copy of its official Python library
that others (LeRobot among them) use. Other distributions on PyPI that install a module
``scservo_sdk`` are forks of it.
"""
