from setuptools import find_packages, setup

package_name = "hilserl_drivers"

setup(
    name=package_name,
    version="0.1.0",
    packages=find_packages(exclude=["test"]),
    package_data={package_name: ["py.typed"]},
    data_files=[
        ("share/ament_index/resource_index/packages", [f"resource/{package_name}"]),
        (f"share/{package_name}", ["package.xml"]),
        (f"share/{package_name}/udev", ["udev/70-hilserl-arms.rules"]),
    ],
    install_requires=["setuptools"],
    zip_safe=True,
    maintainer="hilserl maintainers",
    maintainer_email="maintainers@hilserl.org",
    description="Drivers of Dynamixel and Feetech servo arms, and an emulated servo bus.",
    license="Apache-2.0",
    entry_points={
        "console_scripts": [
            "bridge_node = hilserl_drivers.bridge_node:main",
            "calibrate = hilserl_drivers.calibrate:main",
            "driver_node = hilserl_drivers.driver_node:main",
            "emulate = hilserl_drivers.emulate:main",
            "monitor = hilserl_drivers.monitor:main",
            "scan = hilserl_drivers.scan:main",
        ]
    },
)
