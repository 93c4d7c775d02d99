#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# A key that is revoked, expires or is unlinked between any two steps, and during
# them (keys.c).
. "$(dirname "$0")/../integration/lib.sh"
# shellcheck source-path=SCRIPTDIR source=lib-faults.sh
. "$(dirname "$0")/lib-faults.sh"

ram_disk
modprobe dm-kcache
take 120 fault-keys
unload
