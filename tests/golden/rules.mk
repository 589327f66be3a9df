# SPDX-License-Identifier: Apache-2.0
# Golden files: kept output that a test compares with. Look at the difference before committing.

.PHONY: golden
golden: $(B)/mayfly-vmm $(B)/mayfly ## Regenerate tests/golden/ after a wanted change
	$(B)/mayfly-vmm --describe-state > tests/golden/state-schema.txt.new
	mv tests/golden/state-schema.txt.new tests/golden/state-schema.txt
	set -e; for t in C3 T2 T2S T2CL T2A; do \
		$(B)/mayfly cpu show $$t > tests/golden/cpu-template-$$t.json.new; \
		mv tests/golden/cpu-template-$$t.json.new tests/golden/cpu-template-$$t.json; \
	done
