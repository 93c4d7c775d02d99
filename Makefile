# SPDX-License-Identifier: GPL-2.0-or-later
#
# dm-kcache: the kernel module (Kbuild), the tools (tools/Makefile), their tests.
# All products go to build/. make help says what there is.

MAKEFLAGS += --no-builtin-rules --no-print-directory
V ?= 0
export V
Q := $(if $(filter 0,$(V)),@)
S := $(if $(filter 0,$(V)),-s)
# as many compilers as there are CPUs, unless the caller has said how many
J = $(if $(filter -j%,$(MAKEFLAGS)),,-j$(shell nproc))

# the kernel to build for; found once, and only where a target needs it
KDIR ?= $(eval KDIR := $(shell tests/kdir.sh))$(KDIR)
KRELEASE = $(shell cut -d'"' -f2 $(KDIR)/include/generated/utsrelease.h)
MODULE = build/module/$(KRELEASE)
# stock Debian cloud kernels are what the VM boots
VMRELEASE = $(eval VMRELEASE := $(shell tests/kdir.sh --vm))$(VMRELEASE)
VMKDIR = $(firstword $(wildcard /lib/modules/$(VMRELEASE)/build /usr/src/linux-headers-$(VMRELEASE)))
T ?= *
TIME = 20

all: modules tools ## build the module for this kernel, and the tools

modules: ## build the module alone; KDIR=/lib/modules/VERSION/build for another kernel
	$(Q)test -e "$(KDIR)/Makefile" || { echo "KDIR=$(KDIR) holds no kernel headers" >&2; exit 1; }
	$(Q)tests/module.sh $(MODULE)
	$(Q)$(MAKE) $(J) -C $(KDIR) M=$(CURDIR)/$(MODULE) modules

tools: ## build the command, its key helper and the LUKS2 token plugin
	$(Q)$(MAKE) $(S) $(J) -C tools O=$(CURDIR)/build/tools

# the module for the VM's kernel, whatever this machine runs
vm-build: tools
	$(Q)$(MAKE) modules KDIR=$(or $(VMKDIR),$(error no cloud kernel headers: apt-get install linux-headers-cloud-amd64))

# what the tests in the VM take from the unit tests
vm-helpers: packages-unit packages-providers tools
	$(Q)$(MAKE) $(S) $(J) -C tests/unit $(CURDIR)/build/unit/luks2-edit $(CURDIR)/build/unit/record-writes.so

demo: packages-build packages-vm ## a volume's life in a VM, with every command shown
	$(Q)$(MAKE) vm-build
	$(Q)tests/qemu/vm --scratch 1:64M --time 240 tests/demo.sh

# Debian packages for a purpose of tests/packages; asks apt for missing ones only
packages-%:
	$(Q)tests/packages.sh build $*

# What make check runs in VMs: the target, and of the command the way from create to detach.
# All else there is in check-all; the other verbs, other providers of keys and a power cut
# of the VM itself also where CI has the time (check-verbs).
CHECK_VM = target-* vm-harness $(addprefix kcache-,attach create life power-cut status)
CHECK_VERBS = $(filter-out $(CHECK_VM),$(patsubst %.host,%,$(basename $(notdir $(wildcard tests/integration/kcache-*.sh tests/integration/vm-*.sh)))))

check: ## lint, unit tests, the main VM tests, a short bench; installs what they need (Debian packages); WITHIN=60: also what else fits 60 minutes
	$(Q)tests/packages.sh build lint unit providers kunit vm bench
	$(Q)$(MAKE) all
	$(Q)tests/check.sh $(CHECK) $(CHECK_WITHIN)

check-all: ## the same with every VM test and all other suites
	$(Q)tests/packages.sh build lint unit providers kunit vm bench
	$(Q)$(MAKE) all
	$(Q)tests/check.sh $(CHECK:check-vm=vm-test) $(CHECK_MORE)

CHECK = "& check-providers" lint unit-test check-kunit check-vm bench-check
# what make check WITHIN=MINUTES adds as far as there is time
CHECK_WITHIN = "+8 check-verbs" "+8 check-hygiene" "+6 check-crash" "+6 fuzz TIME=5"
CHECK_MORE = "fuzz TIME=20" check-debug check-matrix check-stress check-crash check-hygiene check-faults

# a suite of its own: tests/NAME/run.sh, whose last line is "NAME: N passed, N failed"
check-%: packages-build packages-vm packages-%
	$(Q)$(MAKE) vm-build
	$(Q)tests/$*/run.sh

# the integration tests on other kernels
check-matrix: vm-helpers

# on this machine: no module, no VM
check-providers: packages-build packages-providers tools ## what every provider of keys promises, and what each is asked
	$(Q)$(MAKE) $(S) $(J) -C tests/providers
	$(Q)tests/providers/run.sh $(if $(filter-out 0,$(V)),-v)

# builds its own module, for its own kernels
check-kunit: packages-vm packages-kunit ## the module's KUnit suites: two CPUs in QEMU, and User Mode Linux
	$(Q)tests/kunit/run.sh

# the integration tests and KUnit under KASAN, lockdep and others; lines covered
check-debug: packages-kernel packages-unit vm-helpers

# failures injected into the debug kernel's allocations, I/O and keys
check-faults: packages-kernel

lint: packages-lint ## sparse, checkpatch, kernel-doc, cppcheck, clang-tidy, shellcheck
	$(Q)tests/lint.sh

unit-test: packages-unit ## the tools' unit tests; T=NAME for one, SAN=1 under sanitizers
	$(Q)$(MAKE) $(S) $(J) -C tests/unit check

fuzz: packages-build packages-fuzz ## fuzz all parsers, each for TIME=20 seconds; TIME=0: their corpora only; T=NAME for one
	$(Q)$(MAKE) $(S) $(J) -C tests/fuzz all
	$(Q)TIME=$(TIME) tests/fuzz/run.sh $(filter-out *,$(T))

vm-test: packages-build packages-vm vm-helpers ## run tests/integration in VMs; T=NAME for one, T='NAME*' for some
	$(Q)$(MAKE) vm-build
	$(Q)tests/qemu/run.sh $(if $(filter-out 0,$(V)),-v) $(if $(filter-out *,$(T)),'$(T)')

check-vm check-verbs: packages-vm vm-helpers
	$(Q)$(MAKE) vm-build
	$(Q)tests/qemu/run.sh $(patsubst %,'%',$(if $(filter check-vm,$@),$(CHECK_VM),$(CHECK_VERBS)))

bench: packages-vm packages-bench ## instructions per I/O against dm-crypt, 3 kernels (10 minutes); T=quick: 6.1, 4 KiB
	$(Q)tests/bench/run.sh $(if $(filter quick,$(T)),--quick)

bench-check: packages-vm packages-bench ## T=quick against the figures in tests/bench/recorded.json
	$(Q)tests/bench/run.sh --check

# whole, because kbuild and tools/ run in folders of their own
DEST = $(abspath $(DESTDIR))
install: all ## install module and tools (DESTDIR, PREFIX)
	$(Q)$(MAKE) -C $(KDIR) M=$(CURDIR)/$(MODULE) modules_install CONFIG_MODULE_SIG_ALL= \
		$(if $(DEST),INSTALL_MOD_PATH=$(DEST) DEPMOD=true)
	$(Q)$(MAKE) $(S) -C tools O=$(CURDIR)/build/tools DESTDIR="$(DEST)" install

DKMS = dm-kcache/$(shell cat VERSION)
DKMSDIR = $(DEST)/usr/src/dm-kcache-$(notdir $(DKMS))
# what an earlier run has left goes first, of any version; with DESTDIR there is only the source
dkms-install: ## have DKMS build the module for this kernel (KVER=RELEASE: for that) and every later one
ifeq ($(DESTDIR),)
	$(Q)dkms status dm-kcache | sed -n 's|^dm-kcache[/,] *\([^,: ]*\).*|\1|p' | sort -u | \
		xargs -r -I{} dkms remove dm-kcache/{} --all
endif
	$(Q)rm -rf "$(DKMSDIR)"
	$(Q)install -d "$(DKMSDIR)/dm-kcache"
	$(Q)install -m 644 Kbuild VERSION dkms.conf "$(DKMSDIR)/"
	$(Q)install -m 644 dm-kcache/*.[ch] "$(DKMSDIR)/dm-kcache/"
ifeq ($(DESTDIR),)
	$(Q)dkms add $(DKMS)
	$(Q)dkms build $(DKMS) $(if $(KVER),-k $(KVER))
	$(Q)dkms install $(DKMS) $(if $(KVER),-k $(KVER))
endif

clean: ## remove build/
	$(Q)rm -rf build

help: ## this text
	@echo 'make TARGET [V=1 for every command]'
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/\1|\2/p' Makefile | \
		while IFS='|' read -r t h; do printf '  %-14s %s\n' "$$t" "$$h"; done

.PHONY: all modules tools vm-build demo check check-all check-vm lint unit-test fuzz vm-test bench bench-check install dkms-install clean help
