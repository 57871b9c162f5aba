from setuptools import find_packages, setup

package_name = "hilserl_camera"

setup(
    name=package_name,
    version="0.1.0",
    packages=find_packages(exclude=["test"]),
    package_data={package_name: ["py.typed", "select_roi.html"]},
    data_files=[
        ("share/ament_index/resource_index/packages", [f"resource/{package_name}"]),
        (f"share/{package_name}", ["package.xml"]),
    ],
    install_requires=["setuptools"],
    zip_safe=True,
    maintainer="hilserl maintainers",
    maintainer_email="maintainers@hilserl.org",
    description="Camera capture, cropping and resizing, and the choice of the region.",
    license="Apache-2.0",
    entry_points={
        "console_scripts": [
            "camera_node = hilserl_camera.camera_node:main",
            "crop_node = hilserl_camera.crop_node:main",
            "select_roi = hilserl_camera.select_roi:main",
        ]
    },
)
