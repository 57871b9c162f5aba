from setuptools import find_packages, setup

package_name = "hilserl_learner"

setup(
    name=package_name,
    version="0.1.0",
    packages=find_packages(exclude=["test"]),
    package_data={package_name: ["py.typed"]},
    data_files=[
        ("share/ament_index/resource_index/packages", [f"resource/{package_name}"]),
        (f"share/{package_name}", ["package.xml"]),
    ],
    # torch and safetensors have no rosdep key: they come from PyPI on a full ROS 2 as well.
    install_requires=["setuptools", "torch", "safetensors"],
    zip_safe=True,
    maintainer="hilserl maintainers",
    maintainer_email="maintainers@hilserl.org",
    description="The RLPD update, the learner node, and checkpoints.",
    license="Apache-2.0",
    entry_points={
        "console_scripts": [
            "learner_node = hilserl_learner.learner_node:main",
            "train_offline = hilserl_learner.train_offline:main",
        ],
    },
)
