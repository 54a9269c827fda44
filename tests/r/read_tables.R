# Reads tables with the package arrow, by a pattern and by the folder of its files, and prints every value that is not of
# pixels as a line: table, way to read it, row, column, value, separated by tabs.
#
#     Rscript tests/r/read_tables.R TABLE PATTERN TABLE PATTERN ...

as_text <- function(value) {
  if (inherits(value, "data.frame")) return("struct")
  if (is.list(value)) return(paste0("[", paste(vapply(value, as_text, ""), collapse = ","), "]"))
  if (length(value) != 1) return(paste0("[", paste(vapply(as.list(value), as_text, ""), collapse = ","), "]"))
  if (is.na(value)) return("null")
  if (is.logical(value)) return(tolower(as.character(value)))
  if (is.numeric(value)) return(sprintf("%.17g", as.numeric(value)))
  as.character(value)
}

# A row's value of a column: an item of a vector, or what a list of lists or of data frames has there.
item <- function(column, row) {
  value <- column[[row]]
  if (is.list(column) && !inherits(column, "data.frame")) {
    if (is.raw(value)) return(NULL)
    if (is.null(value)) return("null")
    if (inherits(value, "data.frame")) return(sprintf("[%d structs]", nrow(value)))
    return(paste0("[", paste(vapply(as.list(value), as_text, ""), collapse = ","), "]"))
  }
  as_text(value)
}

print_rows <- function(frame, table, way) {
  for (name in names(frame)) {
    column <- frame[[name]]
    if (inherits(column, c("arrow_binary", "blob"))) next
    for (row in seq_len(nrow(frame))) {
      value <- item(column, row)
      if (!is.null(value)) cat(table, way, row, name, value, sep = "\t", fill = FALSE)
      if (!is.null(value)) cat("\n")
    }
  }
}

all_rows <- function(sources) as.data.frame(Scanner$create(open_dataset(sources))$ToTable())

main <- function(arguments) {
  suppressPackageStartupMessages(library(arrow))
  for (n in seq(1, length(arguments), by = 2)) {
    table <- arguments[n]
    pattern <- arguments[n + 1]
    print_rows(all_rows(Sys.glob(pattern)), table, "files")
    print_rows(all_rows(dirname(pattern)), table, "folder")
  }
}

if (!interactive() && Sys.getenv("NODULUS_SOURCE_ONLY") == "") main(commandArgs(trailingOnly = TRUE))
