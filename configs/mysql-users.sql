-- The two MySQL users. Replace `redrain` by your database, PASSWORD and the host by your own.
-- `redrainctl migrate` runs as the first; server, settler and the other commands of redrainctl as the second, which can neither
-- change a table's shape nor see another database, a file or another user.
CREATE USER IF NOT EXISTS 'redrain_migrate'@'%' IDENTIFIED BY 'PASSWORD';
GRANT SELECT, INSERT, UPDATE, DELETE, CREATE, ALTER, INDEX, DROP, REFERENCES ON `redrain`.* TO 'redrain_migrate'@'%';
CREATE USER IF NOT EXISTS 'redrain'@'%' IDENTIFIED BY 'PASSWORD';
GRANT SELECT, INSERT, UPDATE, DELETE ON `redrain`.* TO 'redrain'@'%';
