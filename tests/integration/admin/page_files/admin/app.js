// Long enough that compression helps: a script of the tests, a script of the tests.
document.body.textContent = "served"
