// Tables sorted by the buttons in their heads.
"use strict";

const Sorting = {
  names: new Intl.Collator(undefined, { numeric: true, sensitivity: "base" }),

  // Sort a table by a column when its button is pressed; ascending, then descending.
  follow(table) {
    const heads = [...table.tHead.rows[0].cells];
    heads.forEach((head, column) => {
      head.querySelector("button").addEventListener("click", () => {
        const upwards = head.ariaSort !== "ascending";
        for (const other of heads) other.ariaSort = "none";
        head.ariaSort = upwards ? "ascending" : "descending";
        Sorting.sort(table.tBodies[0], column, upwards ? 1 : -1);
      });
    });
  },

  // Missing values are last in both directions.
  sort(body, column, direction) {
    const rows = [...body.rows].map((row) => ({ row, value: Sorting.value(row.cells[column]) }));
    const order = (a, b) =>
      typeof a === "string" ? Sorting.names.compare(a, b) : a < b ? -1 : a > b ? 1 : 0;
    rows.sort((a, b) => {
      if (a.value === null || b.value === null) return (a.value === null) - (b.value === null);
      return direction * order(a.value, b.value);
    });
    body.append(...rows.map(({ row }) => row));
  },

  // A cell's number, or null if it is missing; the text of cells that are not numeric.
  value(cell) {
    const { value } = cell.dataset;
    if (value === undefined) return cell.textContent;
    return value === "" ? null : Number(value);
  },
};
