# SPDX-License-Identifier: Apache-2.0
# Golden files: kept output that a test compares with. Look at the difference before committing.

.PHONY: golden
golden: $(B)/mayfly-vmm ## Regenerate tests/golden/ after a wanted change
	$(B)/mayfly-vmm --describe-state > tests/golden/state-schema.txt.new
	mv tests/golden/state-schema.txt.new tests/golden/state-schema.txt
