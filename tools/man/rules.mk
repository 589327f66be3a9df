# SPDX-License-Identifier: Apache-2.0
# Man pages and completion, made of the option tables of the programs (README.md).
MAN_TABLES := $(B)/man/options.tsv
MAN_DATE   := $(shell date -u -d "@$${SOURCE_DATE_EPOCH:-$$(date +%s)}" +%Y-%m-%d)
COMPLETION := $(B)/completion/mayfly.bash $(B)/completion/_mayfly

.PHONY: man
man: $(B)/man/mayfly.1 $(COMPLETION) ## Man pages and shell completion into build/
all: man

$(MAN_TABLES): $(B)/mayfly $(B)/mayfly-vmm $(B)/mayfly-jailer
	@mkdir -p $(@D) $(B)/completion
	@$(B)/mayfly --describe-options >$@ && $(B)/mayfly-vmm --describe-options >>$@ && \
		$(B)/mayfly-jailer --describe-options >$(@D)/jailer.tsv

$(B)/man/mayfly.1: $(MAN_TABLES) tools/man/man.awk
	@echo "  MAN   $(@D)"
	@awk -v out=$(@D) -v version=$(VERSION) -v date=$(MAN_DATE) -f tools/man/man.awk $<
	@sed 's/^\([a-z]*\t\)mayfly-jailer\t/\1jailer\t/' $(@D)/jailer.tsv >$(@D)/jailer-page.tsv
	@mkdir -p $(@D)/jailer && awk -v out=$(@D)/jailer -v version=$(VERSION) -v date=$(MAN_DATE) -f tools/man/man.awk \
		$(@D)/jailer-page.tsv && sed 's/^\.B mayfly jailer$$/.B mayfly-jailer/' $(@D)/jailer/mayfly-jailer.1 >$(@D)/mayfly-jailer.1

$(B)/completion/mayfly.bash: $(MAN_TABLES) tools/man/bash.awk
	@awk -f tools/man/bash.awk $< $(B)/man/jailer.tsv >$@

$(B)/completion/_mayfly: $(MAN_TABLES) tools/man/zsh.awk
	@awk -f tools/man/zsh.awk $< $(B)/man/jailer.tsv >$@
