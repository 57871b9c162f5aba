from glob import glob

from setuptools import find_packages, setup

package_name = "hilserl_description"

setup(
    name=package_name,
    version="0.1.0",
    packages=find_packages(exclude=["test"]),
    # The models live in the Python package, so that they are found from source and from
    # a wheel alike; ROS tools (rviz, robot_state_publisher) look for them in share.
    package_data={package_name: ["py.typed", "mjcf/*.xml", "urdf/*.urdf"]},
    data_files=[
        ("share/ament_index/resource_index/packages", [f"resource/{package_name}"]),
        (f"share/{package_name}", ["package.xml"]),
        (f"share/{package_name}/mjcf", glob(f"{package_name}/mjcf/*.xml")),
        (f"share/{package_name}/urdf", glob(f"{package_name}/urdf/*.urdf")),
    ],
    install_requires=["setuptools"],
    zip_safe=False,
    maintainer="hilserl maintainers",
    maintainer_email="maintainers@hilserl.org",
    description="Koch and SO-101 as MJCF and URDF, task scenes, forward and inverse kinematics.",
    license="Apache-2.0",
)
