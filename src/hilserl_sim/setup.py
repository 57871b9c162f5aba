from setuptools import find_packages, setup

package_name = "hilserl_sim"

setup(
    name=package_name,
    version="0.1.0",
    packages=find_packages(exclude=["test"]),
    package_data={package_name: ["py.typed"]},
    data_files=[
        ("share/ament_index/resource_index/packages", [f"resource/{package_name}"]),
        (f"share/{package_name}", ["package.xml"]),
    ],
    install_requires=["setuptools"],
    # gym-hil would make a third, but wants mujoco below 3.9 (here: 4.0): docs/gymnasium.md.
    extras_require={"gym": ["gymnasium"], "pusht": ["gym-pusht", "shapely"]},
    zip_safe=True,
    maintainer="hilserl maintainers",
    maintainer_email="maintainers@hilserl.org",
    description="The arm and its scene in MuJoCo, and a scripted operator at its side.",
    license="Apache-2.0",
    entry_points={
        "console_scripts": [
            "emulated_node = hilserl_sim.emulated_node:main",
            "gym_node = hilserl_sim.gym_node:main",
            "mujoco_node = hilserl_sim.mujoco_node:main",
            "operator_node = hilserl_sim.operator_node:main",
        ]
    },
)
