"""Builds the compiled modules; everything else stands in pyproject.toml.

Environment:
    WSCODEC_PURE=1      builds no compiled module: the wheel is `py3-none-any`.
    WSCODEC_REQUIRE=1   makes a compiled module that can't be built an error. Without it the build goes on, says so,
                        and leaves all of them out, so that the pure-Python twins serve.
    WSCODEC_SANITIZE=1  builds with the address and undefined-behaviour sanitizers.
"""

import contextlib
import os
import sys
from glob import glob

from setuptools import Extension, setup
from setuptools.command.bdist_wheel import bdist_wheel
from setuptools.command.build_ext import build_ext
from setuptools.command.build_py import build_py

PACKAGE = "src/wscodec"
KERNELS = f"{PACKAGE}/_kernels"
SOURCES = {
    "_mask": ["cpu", "mask", *(f"mask_{level}" for level in ("portable", "sse2", "avx2", "avx512", "neon"))],
    "_utf8": ["cpu", "utf8", *(f"utf8_{level}" for level in ("portable", "ssse3", "avx2", "avx512", "neon"))],
    "_frames": [],
    "_payload": [],
    "_lanes": [],
    "_calls": [],
    "_inbox": [],
    "_channel": [],
}
# Nothing in static variables: sub-interpreters share neither the modules' state nor their classes.
MACROS = [("CYTHON_USE_MODULE_STATE", "1"), ("CYTHON_USE_TYPE_SPECS", "1")]
SOURCE_SUFFIXES = (".c", ".h", ".pyx", ".pxd")


def wanted(name):
    """Whether an environment variable asks for something."""
    return os.environ.get(name, "0") not in ("", "0")


def compiler_flags():
    """The flags for the compiler and for the linker."""
    if sys.platform == "win32":
        return [], []
    if wanted("WSCODEC_SANITIZE"):
        sanitize = ["-fsanitize=address,undefined", "-fno-sanitize-recover=undefined"]
        return [*sanitize, "-g", "-O1", "-fno-omit-frame-pointer"], sanitize
    return ["-O3", "-fvisibility=hidden"], []


def extensions():
    """The compiled modules, with their C outside the source tree."""
    if wanted("WSCODEC_PURE"):
        return []
    from Cython.Build import cythonize

    compile_args, link_args = compiler_flags()
    modules = [
        Extension(
            f"wscodec.{name}",
            [f"{PACKAGE}/{name}.pyx", *(f"{KERNELS}/{kernel}.c" for kernel in kernels)],
            depends=[*glob(f"{KERNELS}/*.h"), "setup.py"],
            include_dirs=[PACKAGE],
            define_macros=MACROS,
            extra_compile_args=compile_args,
            extra_link_args=link_args,
        )
        for name, kernels in SOURCES.items()
    ]
    modules = cythonize(modules, build_dir="build/cython", include_path=["src"])
    for module in modules:
        # cythonize drops it where it is given above.
        module.optional = not wanted("WSCODEC_REQUIRE")
    return modules


class BuildExtensions(build_ext):
    """Builds all of the compiled modules or, where one fails, none, and says so."""

    failed = False

    def build_extension(self, ext):
        # `optional` covers only some of the errors that a missing compiler shows itself by.
        try:
            super().build_extension(ext)
        except Exception as error:
            if not ext.optional:
                raise
            self.failed = True
            print(f"wscodec: {ext.name} could not be compiled: {error}", file=sys.stderr)

    def run(self):
        super().run()
        if self.failed:
            for ext in self.extensions:
                self.remove(self.get_ext_filename(self.get_ext_fullname(ext.name)))
            print("wscodec: no compiled modules; the pure-Python backend will be used", file=sys.stderr)

    def remove(self, name):
        """Remove a module that was built, now or earlier."""
        for folder in (self.build_lib, "src") if self.inplace else (self.build_lib,):
            with contextlib.suppress(FileNotFoundError):
                os.remove(os.path.join(folder, name))


class BuildPython(build_py):
    """Keeps C and Cython sources out of wheels; the sdist has them."""

    def find_package_modules(self, package, package_dir):
        modules = super().find_package_modules(package, package_dir)
        return [module for module in modules if not module[2].endswith(SOURCE_SUFFIXES)]

    def find_data_files(self, package, src_dir):
        return [name for name in super().find_data_files(package, src_dir) if not name.endswith(SOURCE_SUFFIXES)]


class BuildWheel(bdist_wheel):
    """Calls a wheel without compiled modules what it is."""

    def get_tag(self):
        if self.get_finalized_command("build_ext").failed:
            self.root_is_pure = True
        return super().get_tag()


setup(
    ext_modules=extensions(),
    cmdclass={"bdist_wheel": BuildWheel, "build_ext": BuildExtensions, "build_py": BuildPython},
)
