# SPDX-License-Identifier: GPL-2.0-only
"""Boot media: GRUB for BIOS and UEFI, the hypervisor, dom0's kernel and image."""
import dataclasses
import pathlib
import shutil
import subprocess
import tempfile

CONFIG = """serial --unit=0 --speed=115200
terminal_input serial
terminal_output serial
insmod all_video
set timeout=0
multiboot2 /boot/hypervisor.gz {command_line}
{modules}
boot
"""


@dataclasses.dataclass
class Module:
    """A multiboot2 module: a file and its command line."""
    path: pathlib.Path
    command_line: str = ""


def grub_config(command_line, modules):
    lines = [f"module2 --nounzip /boot/module{index} {module.command_line}".rstrip()
             for index, module in enumerate(modules)]
    return CONFIG.format(command_line=command_line, modules="\n".join(lines))


def build(output, hypervisor, command_line, modules):
    """Writes a boot medium; returns its path."""
    output = pathlib.Path(output)
    output.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=output.parent) as work:
        boot = pathlib.Path(work) / "boot"
        (boot / "grub").mkdir(parents=True)
        (boot / "grub/grub.cfg").write_text(grub_config(command_line, modules))
        shutil.copy(hypervisor, boot / "hypervisor.gz")
        for index, module in enumerate(modules):
            shutil.copy(module.path, boot / f"module{index}")
        made = subprocess.run(
            ["grub-mkrescue", "-o", str(output), "--fonts=", "--locales=", "--themes=", work],
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    if made.returncode != 0:
        raise SystemExit(f"grub-mkrescue failed:\n{made.stdout}")
    return output
