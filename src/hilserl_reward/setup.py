from setuptools import find_packages, setup

package_name = "hilserl_reward"

setup(
    name=package_name,
    version="0.1.0",
    packages=find_packages(exclude=["test"]),
    package_data={package_name: ["py.typed", "*.css", "*.html"]},
    data_files=[
        ("share/ament_index/resource_index/packages", [f"resource/{package_name}"]),
        (f"share/{package_name}", ["package.xml"]),
    ],
    install_requires=["setuptools"],
    zip_safe=True,
    maintainer="hilserl maintainers",
    maintainer_email="maintainers@hilserl.org",
    description="The reward: labels of frames, a classifier of them, and the node that judges.",
    license="Apache-2.0",
    entry_points={
        "console_scripts": [
            "label = hilserl_reward.label:main",
            "train = hilserl_reward.train:main",
            "reward_node = hilserl_reward.reward_node:main",
        ],
    },
)
