from glob import glob

from setuptools import find_packages, setup

package_name = "hilserl_bringup"

setup(
    name=package_name,
    version="0.1.0",
    packages=find_packages(exclude=["test"]),
    package_data={package_name: ["py.typed"]},
    data_files=[
        ("share/ament_index/resource_index/packages", [f"resource/{package_name}"]),
        (f"share/{package_name}", ["package.xml"]),
        (f"share/{package_name}/config", glob("config/*.yaml")),
        (f"share/{package_name}/rviz", glob("rviz/*.rviz")),
        (f"share/{package_name}/foxglove", glob("foxglove/*.json")),
        (f"share/{package_name}/ros2_control", glob("ros2_control/*")),
        (f"share/{package_name}/launch", glob("launch/*.launch.py")),
    ],
    install_requires=["setuptools"],
    zip_safe=True,
    maintainer="hilserl maintainers",
    maintainer_email="maintainers@hilserl.org",
    description="The graphs of nodes, their configuration, launch files and stand-alone runner.",
    license="Apache-2.0",
    entry_points={
        "console_scripts": [
            "hilserl = hilserl_bringup.cli:main",
            "panel_node = hilserl_bringup.panel_node:main",
        ],
    },
)
