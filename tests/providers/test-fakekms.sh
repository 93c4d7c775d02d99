#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
#
# The fake KMS that the aws provider is tested against, tested itself.
exec /usr/bin/python3 "$(dirname "$0")/fakekms-test.py"
