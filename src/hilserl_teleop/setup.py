from setuptools import find_packages, setup

package_name = "hilserl_teleop"

setup(
    name=package_name,
    version="0.1.0",
    packages=find_packages(exclude=["test"]),
    package_data={package_name: ["py.typed", "console_page/*"]},
    data_files=[
        ("share/ament_index/resource_index/packages", [f"resource/{package_name}"]),
        (f"share/{package_name}", ["package.xml"]),
        (f"share/{package_name}/udev", ["udev/70-hilserl-spacemouse.rules"]),
    ],
    install_requires=["setuptools"],
    zip_safe=True,
    maintainer="hilserl maintainers",
    maintainer_email="maintainers@hilserl.org",
    description="Arbitration of who drives the arm, and the devices with which a person does.",
    license="Apache-2.0",
    entry_points={
        "console_scripts": [
            "jog_node = hilserl_teleop.jog_node:main",
            "leader_node = hilserl_teleop.leader_node:main",
            "spacenav_node = hilserl_teleop.spacenav_node:main",
            "markers_node = hilserl_teleop.markers_node:main",
            "mux_node = hilserl_teleop.mux_node:main",
            "intervene = hilserl_teleop.intervene:main",
            "console_node = hilserl_teleop.console_node:main",
        ]
    },
)
