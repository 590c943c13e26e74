"""Makes `python -m pintuan` the same as `pintuan`."""

from pintuan.cli import main

main(prog_name="pintuan")
