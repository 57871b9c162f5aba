from setuptools import find_packages, setup

package_name = "hilserl_replay"

setup(
    name=package_name,
    version="0.1.0",
    packages=find_packages(exclude=["test"]),
    package_data={package_name: ["py.typed", "*.css", "contracts/*.yaml"]},
    data_files=[
        ("share/ament_index/resource_index/packages", [f"resource/{package_name}"]),
        (f"share/{package_name}", ["package.xml"]),
    ],
    # These have no rosdep key: they come from PyPI on a full ROS 2 as well.
    install_requires=["setuptools", "av", "mcap", "pyarrow", "tensorboard", "zstandard"],
    zip_safe=True,
    maintainer="hilserl maintainers",
    maintainer_email="maintainers@hilserl.org",
    description="Experience: bags of episodes, recorder, replay buffer, inspection, reports.",
    license="Apache-2.0",
    entry_points={
        "console_scripts": [
            "curves = hilserl_replay.draw_curves:main",
            "curves_node = hilserl_replay.curves_node:main",
            "recorder_node = hilserl_replay.recorder_node:main",
            "convert = hilserl_replay.convert:main",
            "export = hilserl_replay.export:main",
            "import = hilserl_replay.import_dataset:main",
            "inspect = hilserl_replay.inspect:main",
            "merge = hilserl_replay.merge:main",
            "play = hilserl_replay.play:main",
            "relabel = hilserl_replay.relabel:main",
            "report = hilserl_replay.report:main",
            "review = hilserl_replay.review:main",
        ],
    },
)
