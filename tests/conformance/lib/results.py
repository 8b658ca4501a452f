"""What passed and what did not."""


class Results:
    def __init__(self):
        self.cells = {}
        self.failures = []
        self.known = {}  # What those said that fail as they do against Apache Kafka.

    def set(self, row, column, why=""):
        """`why` is empty for what passed."""
        self.cells[row, column] = "failed" if why else "passed"
        if why:
            self.failures.append(f"{row}: {column}: {why}")
            print(f"FAILED {row}: {column}: {why}", flush=True)

    def set_known(self, row, column, why):
        """Of a cell that fails against Apache Kafka as well."""
        if why:
            self.cells[row, column] = "as Kafka"
            self.known[row, column] = why
            print(f"fails, as against Kafka: {row}: {column}: {why}", flush=True)
        else:
            self.set(row, column, "passes, and is listed in lib/known.py")

    def of(self, rows, columns):
        """One word for all these cells; `-` where there is none."""
        found = [self.cells[row, column] for row in rows for column in columns if (row, column) in self.cells]
        return next((word for word in ("failed", "as Kafka") if word in found), "passed" if found else "-")

    def count(self, what):
        return sum(cell == what for cell in self.cells.values())

    def table(self, rows, columns):
        widths = [max(len(row) for row in rows), *(max(len(column), 7) for column in columns)]
        lines = [["", *columns]] + [[row, *(self.cells.get((row, column), "-") for column in columns)] for row in rows]
        for line in lines:
            print("  ".join(cell.ljust(width) for cell, width in zip(line, widths)).rstrip())
