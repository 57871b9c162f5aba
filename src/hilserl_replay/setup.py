from setuptools import find_packages, setup

package_name = "hilserl_replay"

setup(
    name=package_name,
    version="0.1.0",
    packages=find_packages(exclude=["test"]),
    package_data={package_name: ["py.typed", "*.css"]},
    data_files=[
        ("share/ament_index/resource_index/packages", [f"resource/{package_name}"]),
        (f"share/{package_name}", ["package.xml"]),
    ],
    # mcap has no rosdep key: it comes from PyPI on a full ROS 2 as well.
    install_requires=["setuptools", "mcap", "zstandard"],
    zip_safe=True,
    maintainer="hilserl maintainers",
    maintainer_email="maintainers@hilserl.org",
    description="Experience: bags of episodes, recorder, replay buffer, inspection, reports.",
    license="Apache-2.0",
    entry_points={
        "console_scripts": [
            "recorder_node = hilserl_replay.recorder_node:main",
            "inspect = hilserl_replay.inspect:main",
            "report = hilserl_replay.report:main",
            "review = hilserl_replay.review:main",
        ],
    },
)
