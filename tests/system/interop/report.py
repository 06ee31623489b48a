"""What was checked and seen, as text for the terminal and as a page for docs/interop."""

import datetime


class Report:
    """The checks of all runs, in order, and the tables beside them."""

    def __init__(self):
        self.sections = []
        self.passed = self.failed = 0

    def section(self, title):
        print("== " + title, flush=True)
        self.sections.append((title, []))

    def say(self, line):
        print(line, flush=True)
        self.sections[-1][1].append(line)

    def check(self, what, right, detail=""):
        """Counts a check and tells how it went; the run goes on either way."""
        right = bool(right)
        self.passed += right
        self.failed += not right
        self.say(f"- {'yes' if right else 'NO'}: {what}" + (f" ({detail})" if detail else ""))

    def table(self, head, rows):
        self.say("")
        self.say("| " + " | ".join(head) + " |")
        self.say("|" + " --- |" * len(head))
        for row in rows:
            self.say("| " + " | ".join(str(cell) for cell in row) + " |")
        self.say("")

    def page(self, made_with):
        """The page, in Markdown."""
        day = datetime.datetime.now(datetime.timezone.utc).strftime("%Y-%m-%d")
        lines = ["# Wren and Lighthouse on one chain", ""]
        lines += [f"Written by `scripts/interop` on {day}: {self.passed} checks passed, {self.failed} failed.", ""]
        lines += [f"- {line}" for line in made_with]
        for title, said in self.sections:
            lines += ["", "## " + title, ""] + said
        text = "\n".join(lines) + "\n"
        while "\n\n\n" in text:
            text = text.replace("\n\n\n", "\n\n")
        return text
